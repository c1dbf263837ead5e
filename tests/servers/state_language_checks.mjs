// What asl-validator and Amazon's language service find wrong with definitions of state machines: JSON by file.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.cwd() + "/");
const validator = require("asl-validator");
const { getLanguageService } = require("amazon-states-language-service");
const { TextDocument } = require("vscode-languageserver-textdocument");

const said = {};
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  const { errors } = validator(JSON.parse(text), { checkArn: true, checkPaths: true });
  const service = getLanguageService({});
  const document = TextDocument.create(`file://${file}`, "json", 1, text);
  const found = await service.doValidation(document, service.parseJSONDocument(document));
  said[file] = {
    validator: errors.map((error) => error.Message ?? JSON.stringify(error)),
    service: found.map((one) => `${one.range.start.line}: ${one.message}`),
  };
}
console.log(JSON.stringify(said));
