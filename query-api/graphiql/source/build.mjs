// Makes ../graphiql.js.gz, ../graphiql.css.gz and ../licenses.txt.gz: `npm ci && npm run build`. README.md says more.
import { build } from 'esbuild';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const made = await build({
  stdin: { contents: "import 'graphiql/graphiql.css';\nimport './main.jsx';\n", resolveDir: '.', loader: 'jsx' },
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['es2020'],
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
  write: false,
  outfile: 'graphiql.js',
  define: { 'process.env.NODE_ENV': '"production"' },
});

for (const { path, text } of made.outputFiles) {
  const name = path.endsWith('.css') ? 'graphiql.css' : 'graphiql.js';
  // The fonts are two thirds of the sheet; the system's are as readable, and come with no licence of their own.
  const lean = name.endsWith('.css') ? text.replace(/@font-face\s*\{[^}]*\}/g, '') : text;
  writeFileSync(`../${name}.gz`, gzipSync(lean, { level: 9 }));
}

// What was bundled, by the folder of its package, with the text that it is licensed by.
const folders = new Set();
for (const input of Object.keys(made.metafile.inputs)) {
  const found = input.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//);
  if (found) folders.add(found[1]);
}
let text = 'What graphiql.js.gz and graphiql.css.gz are made of, and under which licences.\n';
const seen = new Set();
for (const folder of [...folders].sort()) {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const name = `${about.name} ${about.version}`;
  if (seen.has(name)) continue;
  seen.add(name);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  text += `\n${'='.repeat(72)}\n${name} (${about.license})\n\n`;
  text += file ? readFileSync(join(folder, file), 'utf8').trim() : `Licensed under ${about.license}, as its package says.`;
  text += '\n';
}
writeFileSync('../licenses.txt.gz', gzipSync(text, { level: 9 }));
