// An unmodified centrifuge-js client: subscribes to a flight and a board, prints what it is told.
// node --experimental-websocket sdk.mjs <url> <flight channel> <board channel>
import { createRequire } from "node:module";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { Centrifuge } = require("centrifuge");

const [url, flight, board] = process.argv.slice(2);
const say = (what, rest) => console.log(JSON.stringify({ what, ...rest }));
const client = new Centrifuge(url, { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 300 });

client.on("connected", (context) => say("connected", { data: context.data }));
client.on("connecting", (context) => say("connecting", { code: context.code }));
client.on("error", (context) => say("error", { code: context.error?.code }));

const stream = client.newSubscription(flight);
stream.on("subscribed", (context) =>
  say("subscribed", {
    channel: flight,
    recovered: context.recovered,
    wasRecovering: context.wasRecovering,
    position: context.streamPosition,
  }),
);
stream.on("publication", (context) =>
  say("publication", { offset: context.offset, gate: context.data.leg.dep_gate }),
);

const map = client.newMapSubscription(board);
map.on("subscribed", (context) =>
  say("subscribed", { channel: board, recovered: context.recovered }),
);
map.on("sync", (context) =>
  say("sync", { rows: context.entries.map((entry) => [entry.key, entry.data.dep_gate]) }),
);
map.on("update", (context) =>
  say("update", { key: context.key, removed: context.removed === true, gate: context.data?.dep_gate }),
);
map.on("error", (context) => say("error", { channel: board, code: context.error?.code }));

process.stdin.on("end", () => process.exit(0)).resume();
stream.subscribe();
map.subscribe();
client.connect();
