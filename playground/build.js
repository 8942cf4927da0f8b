// Builds the playground: one HTML file with its script, its style and the engine.
//
// node build.js ENGINE.wasm OUTPUT.html

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const [engine, output] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const read = (name) => readFileSync(join(here, name), "utf8");

const embedded = {
  name: "embedded",
  setup(builder) {
    builder.onResolve({ filter: /^embedded:/ }, (found) => ({ path: found.path, namespace: "embedded" }));
    builder.onLoad({ filter: /engine$/, namespace: "embedded" }, () => ({
      contents: gzipSync(readFileSync(engine), { level: 9 }),
      loader: "binary",
    }));
    builder.onLoad({ filter: /schema$/, namespace: "embedded" }, () => ({
      contents: read("../docs/policy.schema.json"),
      loader: "json",
    }));
  },
};

const bundle = (entry, options) =>
  build({ entryPoints: [join(here, entry)], bundle: true, minify: true, write: false, legalComments: "inline", ...options });

const script = await bundle("src/app.js", { format: "esm", target: "es2022", charset: "ascii", plugins: [embedded] });
const style = await bundle("style.css", {});
// In an HTML file a script ends at its first closing tag, wherever it is.
const scriptText = script.outputFiles[0].text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
const styleText = style.outputFiles[0].text;

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
// Only this script and this style, and no connection to any place.
const csp = [
  "default-src 'none'",
  `script-src ${hash(scriptText)} 'wasm-unsafe-eval'`,
  `style-src ${hash(styleText)}`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const parts = { "{{CSP}}": csp, "{{STYLE}}": styleText, "{{SCRIPT}}": scriptText };
const html = read("index.html").replace(/\{\{(CSP|STYLE|SCRIPT)\}\}/g, (part) => parts[part]);
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, html);
