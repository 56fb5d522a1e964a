"use strict";
// A page and an echo on Node's own server, without dependencies.

const http = require("node:http");

const server = http.createServer((request, response) => {
  if (request.method === "POST" && request.url === "/echo") {
    response.writeHead(200, { "content-type": request.headers["content-type"] || "text/plain" });
    request.pipe(response);
    return;
  }
  response.writeHead(request.url === "/" ? 200 : 404, { "content-type": "text/plain" });
  response.end(request.url === "/" ? "hello from node\n" : "no such page\n");
});

server.keepAliveTimeout = 75_000;
server.listen(Number(process.env.PORT || 3000), process.env.HOST || "127.0.0.1");

process.on("SIGTERM", () => server.close());
