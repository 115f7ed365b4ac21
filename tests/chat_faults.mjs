// aimock with a latency that varies: its own (--chaos-latency) is the same for every request, so it is drawn anew each time it
// is looked up. Arguments: aimock's folder, port, fixtures, and as JSON its faults with {"latency": [least, most]} in ms.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, port, fixtures, faults] = process.argv.slice(2);
const { LLMock } = await import(pathToFileURL(join(program, "dist", "index.js")));
const { latency: [least, most], ...rates } = JSON.parse(faults);
const chaos = { ...rates, get latencyMs() { return Math.round(least + (most - least) * Math.random()); } };
const mock = new LLMock({ host: "127.0.0.1", port: Number(port), chaos, logLevel: "silent", journalMaxEntries: 0 });
mock.loadFixtureDir(fixtures);
await mock.start();
