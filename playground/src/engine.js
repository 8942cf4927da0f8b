// The engine of the filter, as a WASI program. It has standard input and output, and nothing else.

import { ConsoleStdout, File, OpenFile, WASI } from "@bjorn3/browser_wasi_shim";
import packed from "embedded:engine";

const unpacked = async () => {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return WebAssembly.compile(await new Response(stream).arrayBuffer());
};

/** Loads the engine. The result is a function: the fields of the page to all that is shown about them. */
export async function load() {
  const program = await unpacked();
  return async (fields) => {
    const output = [];
    const input = new OpenFile(new File(new TextEncoder().encode(JSON.stringify(fields))));
    const wasi = new WASI([], [], [
      input,
      new ConsoleStdout((bytes) => output.push(bytes.slice())),
      new ConsoleStdout((bytes) => console.error(new TextDecoder().decode(bytes))),
    ]);
    // Each decision has a new instance: nothing of an earlier one is left.
    const instance = await WebAssembly.instantiate(program, { wasi_snapshot_preview1: wasi.wasiImport });
    wasi.start(instance);
    return JSON.parse(await new Blob(output).text());
  };
}
