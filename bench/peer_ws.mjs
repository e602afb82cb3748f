// Node's `ws`: node peer_ws.mjs <folder of the package> <port>; publications come to port + 1 as lines.
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
const { WebSocketServer } = await import(pathToFileURL(`${folder}/wrapper.mjs`));
const server = new WebSocketServer({ port: Number(port), host: "127.0.0.1", perMessageDeflate: false });
createServer((socket) => {
  createInterface({ input: socket }).on("line", (line) => {
    for (const client of server.clients) client.send(line);
  });
}).listen(Number(port) + 1, "127.0.0.1");
