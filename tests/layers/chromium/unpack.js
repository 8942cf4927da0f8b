// Usage: node unpack.js <directory>. Unpacks Chromium, with the libraries and the font it needs.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflate } from '@sparticuz/chromium';

const packed = join(dirname(fileURLToPath(import.meta.resolve('@sparticuz/chromium'))), '../bin');
const directory = resolve(process.argv[2]);
mkdirSync(directory, { recursive: true });
// The package unpacks into the system's temporary directory.
process.env.TMPDIR = directory;
for (const part of ['al2023.tar.br', 'fonts.tar.br', 'chromium.br']) await inflate(join(packed, part));

const fonts = `<dir>${directory}/fonts</dir><cachedir>${directory}/fonts-cache</cachedir>`;
writeFileSync(join(directory, 'fonts.conf'), `<?xml version="1.0"?><fontconfig>${fonts}</fontconfig>`);
