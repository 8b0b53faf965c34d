// An application that speaks HTTP/2 with prior knowledge and nothing else: h2.js ADDRESS [MODE]. Modes: ok; goaway (it goes away
// with ENHANCE_YOUR_CALM), reset (each stream is reset with INTERNAL_ERROR), 502 (it answers 502 itself).
"use strict";
const http2 = require("http2");
const [address, mode = "ok"] = process.argv.slice(2);
const server = http2.createServer();
server.on("stream", (stream) => {
  stream.on("error", (error) => console.error(`error: ${error.message}`));
  if (mode === "goaway") return stream.session.destroy(undefined, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  if (mode === "reset") return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  stream.respond({ ":status": mode === "502" ? 502 : 200, "content-type": "text/html" });
  stream.end("<h1>shop</h1>\n");
});
server.on("sessionError", (error) => console.error(`error: ${error.message}`));
const colon = address.lastIndexOf(":");
server.listen(Number(address.slice(colon + 1)), address.slice(0, colon));
