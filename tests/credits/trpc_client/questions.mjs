// Call the credits API as a web client does, and print what the client returns.
// Arguments: the address, a bearer token, the name of a link, and "superjson" or "json".
import * as trpc from "@trpc/client";
import superjson from "superjson";

const [url, token, link, format] = process.argv.slice(2);
// tRPC 10 expects the transformer in the client, tRPC 11 in the link.
const transformer = format === "superjson" ? { transformer: superjson } : {};
const client = (headers) =>
  trpc.createTRPCProxyClient({
    ...transformer,
    links: [trpc[link]({ url, headers, ...transformer })],
  }).credits;
const refusal = (answer) =>
  answer.then(
    () => null,
    ({ name, message, data }) => ({ name, message, ...data }),
  );
const kind = (value) => (value instanceof Date ? `Date ${value.getUTCFullYear()}` : typeof value);

const ann = client({ authorization: `Bearer ${token}` });
const nobody = client({});

// All calls in one tick form one batch.
const [balance, stats, first, packages] = await Promise.all([
  ann.balance.query(),
  ann.stats.query({ days: 7 }),
  ann.history.query({ limit: 2, cursor: undefined }),
  nobody.packages.query(),
]);
const [second, future, tooMany, unknown, unauthorized, changed] = await Promise.all([
  ann.history.query({ limit: 2, cursor: first.next, direction: "forward" }),
  ann.history.query({ start: new Date("2100-01-01") }),
  refusal(ann.history.query({ limit: 101 })),
  refusal(ann.secrets.query()),
  refusal(nobody.balance.query()),
  refusal(ann.balance.mutate()),
]);

console.log(
  JSON.stringify({
    balance,
    stats,
    packages,
    amounts: [first, second, future].map((page) => page.results.map((row) => row.amount)),
    created: kind(first.results[0].createdAt),
    refusals: { tooMany, unknown, unauthorized, changed },
  }),
);
