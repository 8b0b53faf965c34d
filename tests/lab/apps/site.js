// A small site: site.js ADDRESS [MODE], as site.py. Modes: ok, destroy (the socket is destroyed while the request waits),
// throw (an uncaught exception ends the process).
"use strict";
const fs = require("fs");
const http = require("http");
const [address, mode = "ok"] = process.argv.slice(2);

const server = http.createServer((request, response) => {
  if (mode === "destroy") return request.socket.destroy();
  if (mode === "throw") throw new TypeError("Cannot read properties of undefined (reading 'cart')");
  const path = request.url.split("?")[0];
  const known = path === "/" || path === "/cart";
  response.writeHead(known ? 200 : 404, { "Content-Type": "text/html" });
  response.end(known ? "<h1>shop</h1>\n" : "no such page\n");
});

if (address.startsWith("unix:")) {
  const path = address.slice(5);
  fs.rmSync(path, { force: true });
  server.listen(path, () => fs.chmodSync(path, parseInt(process.env.SOCKET_MODE || "666", 8)));
} else {
  const colon = address.lastIndexOf(":");
  server.listen(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/[[\]]/g, ""));
}
