// Validates resources of Istio, Envoy Gateway and the Gateway API against their published schemas. Reads a JSON array
// of resources from standard input, and writes a JSON array of mistakes. The schemas find wrong values; the types
// that are published with them find fields that do not exist, which an API server refuses as well.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {fileURLToPath} from "node:url";

const ts = createRequire(import.meta.url)("typescript");

const PACKAGES = {
  "networking.istio.io": "@kubernetes-models/istio",
  "security.istio.io": "@kubernetes-models/istio",
  "gateway.envoyproxy.io": "@kubernetes-models/envoy-gateway",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
};

const resources = JSON.parse(readFileSync(0, "utf8"));
const mistakes = [];
const imports = [];
const values = [];

for (const [index, resource] of resources.entries()) {
  const name = `${resource.kind} ${resource.metadata?.name}`;
  const [group] = resource.apiVersion.split("/");
  const module = `${PACKAGES[group]}/${resource.apiVersion}`;
  const models = PACKAGES[group] && (await import(module).catch(() => undefined));
  const Model = models?.[resource.kind];
  if (Model === undefined) {
    mistakes.push(`${name}: there is no schema for ${resource.apiVersion}`);
    continue;
  }
  try {
    new Model(resource).validate();
  } catch (error) {
    mistakes.push(`${name}: ${error.message}`);
  }
  imports.push(`import type {I${resource.kind} as R${index}} from "${module}";`);
  values.push(`export const r${index}: R${index} = ${JSON.stringify(resource)};`);
}

// A file that is not on the disk, beside this one: the compiler looks for packages from there.
const file = fileURLToPath(new URL("./resources.ts", import.meta.url));
const text = [...imports, ...values].join("\n");
const options = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  types: [],
};
const host = ts.createCompilerHost(options);
const {getSourceFile, fileExists, readFile} = host;
host.getSourceFile = (path, ...rest) =>
  path === file ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2022) : getSourceFile.call(host, path, ...rest);
host.fileExists = (path) => path === file || fileExists.call(host, path);
host.readFile = (path) => (path === file ? text : readFile.call(host, path));
const program = ts.createProgram([file], options, host);
for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
  mistakes.push(ts.flattenDiagnosticMessageText(diagnostic.messageText, " "));
}
process.stdout.write(JSON.stringify(mistakes));
