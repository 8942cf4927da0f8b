// Asks a service whether it is well: `node health.js URL`.

const answer = await fetch(process.argv[2], { signal: AbortSignal.timeout(2000) });
process.exit(answer.ok ? 0 : 1);
