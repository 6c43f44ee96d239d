// oauth4webapi, the strictest reader of answers: discovery, polls, login, refresh, revocation.
// Arguments and output as in openid_client.mjs; it goes on when a line comes in.
import * as oauth from "oauth4webapi";
import { createInterface } from "node:readline";

const [issuer, id, method, secret] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: id };
const authentication = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(secret),
  client_secret_post: () => oauth.ClientSecretPost(secret),
}[method]();
const refusal = ({ name, error, status, cause }) => ({ name, error, status, interval: cause?.interval });

const url = new URL(issuer);
const found = await oauth.discoveryRequest(url, { ...insecure, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(url, found);
const asked = await oauth.deviceAuthorizationRequest(server, client, authentication, { scope: "llm:chat mcp:read" }, insecure);
const codes = await oauth.processDeviceAuthorizationResponse(server, client, asked);
const poll = async () =>
  oauth.processDeviceCodeResponse(
    server,
    client,
    await oauth.deviceCodeGrantRequest(server, client, authentication, codes.device_code, insecure),
  );

const polls = [await poll().catch(refusal), await poll().catch(refusal)];
say({ user_code: codes.user_code, interval: codes.interval, polls });
await lines.next();
try {
  const tokens = await poll();
  const again = await poll().catch(refusal);
  const refreshed = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, insecure),
  );
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, authentication, refreshed.access_token, insecure),
  );
  const me = new URL("/api/auth/me", issuer);
  const after = await oauth
    .protectedResourceRequest(refreshed.access_token, "GET", me, undefined, undefined, insecure)
    .catch(({ name, cause }) => ({ name, challenge: cause[0].parameters }));
  say({ type: tokens.token_type, scope: refreshed.scope, rotated: tokens.refresh_token !== refreshed.refresh_token, again, after });
} catch (error) {
  say(refusal(error));
}
lines.return?.();
process.stdin.destroy();
