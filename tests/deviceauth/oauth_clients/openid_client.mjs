// openid-client: discovery, login, a call, a narrowed refresh, revocation. Prints what it meets, one JSON a line.
// Arguments: the issuer, the client's id, how it authenticates, its secret.
import * as client from "openid-client";

const [issuer, id, method, secret] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const authentication = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(secret),
  client_secret_post: () => client.ClientSecretPost(secret),
}[method]();
const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const config = await client.discovery(new URL(issuer), id, undefined, authentication, options);
const call = async (token) => {
  const answer = await client.fetchProtectedResource(config, token, new URL("/api/auth/me", issuer), "GET");
  return (await answer.json()).email;
};

const codes = await client.initiateDeviceAuthorization(config, { scope: "llm:chat mcp:read" });
say({ user_code: codes.user_code });
try {
  const tokens = await client.pollDeviceAuthorizationGrant(config, codes);
  const email = await call(tokens.access_token);
  const narrowed = await client.refreshTokenGrant(config, tokens.refresh_token, { scope: "llm:chat" });
  await client.tokenRevocation(config, narrowed.refresh_token);
  const after = await call(narrowed.access_token).catch(({ name, cause, status }) => ({
    name,
    status,
    challenge: cause?.[0]?.scheme + " " + cause?.[0]?.parameters?.error,
  }));
  say({ email, scope: tokens.scope, narrowed: narrowed.scope, after });
} catch (error) {
  say({ name: error.name, error: error.error, description: error.error_description });
}
