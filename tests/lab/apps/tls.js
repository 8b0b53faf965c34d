// A small site over TLS: tls.js ADDRESS CERTIFICATE, the latter without `.chain.pem` and `.key`. TLS_OPTIONS: see words/tls.sh.
"use strict";
const fs = require("fs");
const https = require("https");
const tls = require("tls");
const [address, certificate] = process.argv.slice(2);
const options = JSON.parse(process.env.TLS_OPTIONS || "{}");
const pair = (path) => ({ cert: fs.readFileSync(`${path}.chain.pem`), key: fs.readFileSync(`${path}.key`) });
const { names = {}, only = false, ca, ...settings } = options;
if (ca) settings.ca = fs.readFileSync(ca);
if (only || Object.keys(names).length > 0) {
  settings.SNICallback = (name, done) => {
    const known = names[name];
    if (known) return done(null, tls.createSecureContext(pair(`/srv/tls/${known}`)));
    return only ? done(new Error(`no such name: ${name}`)) : done(null, null);
  };
}
const server = https.createServer({ ...pair(certificate), ...settings }, (request, response) => {
  response.writeHead(200, { "Content-Type": "text/html" });
  response.end("<h1>shop</h1>\n");
});
server.on("tlsClientError", () => {});
const colon = address.lastIndexOf(":");
server.listen(Number(address.slice(colon + 1)), address.slice(0, colon));
