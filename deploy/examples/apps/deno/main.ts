// Words, backwards: served by `deno serve`, or by `deno run` with a server of one's own.

export default {
  fetch(request: Request): Response {
    const word = new URL(request.url).pathname.slice(1);
    return new Response(word ? `${[...word].reverse().join("")}\n` : "hello from deno\n");
  },
};
