// Reconstructs in node what the page reconstructs in a browser: a case as JSON in, maps as JSON out.
const live = require("node:path").join(__dirname, "..", "..", "book", "_static", "live");
for (const name of ["matrix", "first_guess", "space_time", "engine"]) require(`${live}/${name}.js`);
const { net: file, size, anomaly, seen, ocean, asked, times } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
require(file);
const [network] = Object.values(globalThis.oceanData);
const net = globalThis.oceanEngine.load(network);
let maps;
const ms = Array.from({ length: times }, () => {
  const start = process.cpuUsage();
  maps = globalThis.oceanEngine.reconstruct(net, anomaly, seen, ocean, asked, size);
  const { user, system } = process.cpuUsage(start); // other work on this machine does not count
  return (user + system) / 1000;
});
console.log(JSON.stringify({ ms, ...Object.fromEntries(Object.entries(maps).map(([key, map]) => [key, [...map]])) }));
