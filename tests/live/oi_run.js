// Interpolates in node as the page does in a browser: a month as JSON in, the map of its mean out.
const live = require("node:path").join(__dirname, "..", "..", "book", "_static", "live");
for (const name of ["matrix", "first_guess", "oi"]) require(`${live}/${name}.js`);
const { anomaly, seen, terms, noise } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const asked = new Array(31).fill(true), size = { T: 31, H: 32, W: 32 };
console.log(JSON.stringify([...globalThis.oceanOI.interpolate(anomaly, seen, asked, size, terms, noise).map]));
