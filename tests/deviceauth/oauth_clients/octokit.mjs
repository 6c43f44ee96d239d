// @octokit/auth-oauth-device, which sends JSON with a client_id; GitHub's paths are led to ours.
// Arguments and output as in openid_client.mjs.
import { createOAuthDeviceAuth } from "@octokit/auth-oauth-device";
import { request } from "@octokit/request";

const [issuer, clientId] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const ours = { "/login/device/code": "/api/auth/device/code", "/login/oauth/access_token": "/api/auth/device/token" };
const bodies = [];
const led = (address, options) => {
  bodies.push(options.headers["content-type"]);
  return fetch(issuer + ours[new URL(address).pathname], options);
};

const auth = createOAuthDeviceAuth({
  clientType: "oauth-app",
  clientId,
  scopes: ["llm:chat"],
  request: request.defaults({ request: { fetch: led } }),
  onVerification: ({ user_code }) => say({ user_code }),
});
try {
  const { token, tokenType, scopes } = await auth({ type: "oauth" });
  const me = await fetch(new URL("/api/auth/me", issuer), { headers: { authorization: `Bearer ${token}` } });
  say({ tokenType, scopes, email: (await me.json()).email, bodies: [...new Set(bodies)] });
} catch (error) {
  say({ name: error.name, error: error.response?.data?.error });
}
