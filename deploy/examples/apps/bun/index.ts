// Dice, on Bun's own server. Without a port it takes the one of PORT.

const server = Bun.serve({
  routes: {
    "/": new Response("hello from bun\n"),
    "/roll": () => Response.json({ dice: 1 + Math.floor(Math.random() * 6) }),
  },
  fetch: () => new Response("no such page\n", { status: 404 }),
});

console.log(`listening on ${server.url}`);
process.on("SIGTERM", () => server.stop());
