// The calls that a desktop application makes from its webview, with the SDKs in the page.
// Each step reports its name and its problem, empty if all is well, and the usages that it read.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { gateway, token, poorToken, models, isStranger } = globalThis.CONFIG;
const openai = new OpenAI({
  baseURL: `${gateway}/v1`,
  apiKey: token,
  dangerouslyAllowBrowser: true,
  maxRetries: 0,
});
const claude = new Anthropic({
  baseURL: gateway,
  apiKey: token,
  dangerouslyAllowBrowser: true,
  maxRetries: 0,
});
const messages = [{ role: "user", content: "Say hello." }];
const authorization = { authorization: `Bearer ${token}` };
const usageOf = ({ prompt_tokens, completion_tokens, input_tokens, output_tokens }) => [
  prompt_tokens ?? input_tokens,
  completion_tokens ?? output_tokens,
];

function require(condition, text) {
  if (!condition) throw new Error(text);
}

async function raised(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was raised");
}

async function text(stream, read) {
  let whole = "";
  for await (const event of stream) whole += read(event) ?? "";
  return whole;
}

const steps = {
  async "the page is at tauri://localhost"() {
    require(location.origin === "tauri://localhost", location.origin);
    require(/AppleWebKit/.test(navigator.userAgent), navigator.userAgent);
  },
  async "openai lists models"() {
    const listed = await openai.models.list();
    require(listed.data.some((model) => model.id === models.chat), JSON.stringify(listed.data));
  },
  async "anthropic lists models"() {
    const ids = [];
    for await (const model of claude.models.list({ limit: 1 })) ids.push(model.id);
    require(ids.includes(models.messages), ids.join());
  },
  async "openai chats, and reads our headers"() {
    const { data, response, request_id } = await openai.chat.completions
      .create({ model: models.chat, messages })
      .withResponse();
    require(data.choices[0].message.content, "no text");
    const names = ["x-generation-id", "x-trace-id", "x-credits-used", "x-credits-remaining"];
    for (const name of [...names, "x-ratelimit-remaining-requests"])
      require(response.headers.get(name), `${name} cannot be read`);
    require(request_id.startsWith("req_"), request_id);
    return [usageOf(data.usage)];
  },
  async "openai streams"() {
    const stream = await openai.chat.completions.create({
      model: models.chat,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let last;
    const read = await text(stream, (chunk) => {
      last = chunk;
      return chunk.choices[0]?.delta.content;
    });
    require(read && last._credits.used >= 0, `${read} ${JSON.stringify(last)}`);
    return [usageOf(last.usage)];
  },
  async "openai streams a response"() {
    const stream = openai.responses.stream({ model: models.chat, input: "Say hello." });
    const response = await stream.finalResponse();
    require(response.output_text, JSON.stringify(response));
    return [usageOf(response.usage)];
  },
  async "anthropic answers, and finds the id of its request"() {
    const { data, response, request_id } = await claude.messages
      .create({ model: models.messages, max_tokens: 500, messages })
      .withResponse();
    require(data.content[0].text, "no text");
    require(request_id === response.headers.get("x-request-id"), request_id);
    return [usageOf(data.usage)];
  },
  async "anthropic streams"() {
    const stream = claude.messages.stream(
      { model: models.messages, max_tokens: 500, messages },
      { headers: { "anthropic-beta": "interleaved-thinking-2025-05-14" } },
    );
    const message = await stream.finalMessage();
    require(message.content[0].text, JSON.stringify(message));
    return [usageOf(message.usage)];
  },
  async "anthropic counts tokens"() {
    const request = claude.messages.countTokens({ model: models.messages, messages });
    const { data, response } = await request.withResponse();
    require(data.input_tokens > 0, JSON.stringify(data));
    require([null, "estimated"].includes(response.headers.get("x-token-count")), "x-token-count");
  },
  async "a repeated request is seen to be one"() {
    const options = { headers: { "Idempotency-Key": crypto.randomUUID() } };
    const ask = () =>
      openai.chat.completions.create({ model: models.chat, messages }, options).withResponse();
    const [first, second] = [await ask(), await ask()];
    require(second.response.headers.get("idempotency-replayed") === "true", "not readable");
    require(first.data.id === second.data.id, "another answer");
    return [usageOf(first.data.usage)];
  },
  async "any header may be sent"() {
    const headers = {
      ...authorization,
      "content-type": "application/json",
      baggage: "sentry-release=1",
      "http-referer": "tauri://localhost",
      "sentry-trace": "0-0",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "x-session-id": "s",
      "x-title": "Desktop",
      "x-trace-id": "trace-of-the-page",
      "x-whatever-comes-next": "1",
    };
    const answer = await fetch(`${gateway}/v1/credits`, { headers });
    require(answer.headers.get("x-trace-id") || answer.ok, String(answer.status));
  },
  async "the desktop streams by fetch"() {
    const answer = await fetch(`${gateway}/api/llm/stream`, {
      method: "POST",
      headers: { ...authorization, "content-type": "application/json" },
      body: JSON.stringify({ model: models.chat, messages }),
    });
    const read = await text(
      { [Symbol.asyncIterator]: () => chunks(answer.body.getReader()) },
      (chunk) => chunk,
    );
    require(/event: credits\ndata: \{"used":/.test(read), read.slice(-200));
    require(read.endsWith("data: [DONE]\n\n"), read.slice(-200));
  },
  async "the picker of models gets its list"() {
    const answer = await fetch(`${gateway}/api/trpc/llmProviders.availableModels`, {
      headers: { ...authorization, "content-type": "application/json" },
    });
    const { models: listed } = (await answer.json()).result.data;
    require(listed.some((model) => model.id === models.chat), JSON.stringify(listed));
  },
  async "the metadata of device login can be read"() {
    const answer = await fetch(`${gateway}/.well-known/oauth-authorization-server`);
    require((await answer.json()).token_endpoint, "no token_endpoint");
  },
  async "refusals can be read"() {
    const unknown = await raised(openai.chat.completions.create({ model: "no-such", messages }));
    require(unknown instanceof OpenAI.NotFoundError, String(unknown));
    require(unknown.code === "model_not_found" && unknown.requestID, JSON.stringify(unknown));
    const wrong = await raised(
      claude.withOptions({ apiKey: "sk-none" }).messages.create({
        model: models.messages,
        max_tokens: 5,
        messages,
      }),
    );
    require(wrong instanceof Anthropic.AuthenticationError, String(wrong));
    require(wrong.headers.get("www-authenticate"), "www-authenticate cannot be read");
  },
};

// With a token of somebody without credits, and models whose provider is slow or breaks off.
const faults = {
  async "without credits an SDK asks once"() {
    const poor = openai.withOptions({ apiKey: poorToken, maxRetries: 2 });
    const refused = await raised(poor.chat.completions.create({ model: models.chat, messages }));
    require(refused.status === 402, String(refused));
    require(refused.headers.get("x-should-retry") === "false", "x-should-retry cannot be read");
  },
  async "keep-alives harm nothing"() {
    const stream = await openai.chat.completions.create({
      model: models.slow,
      messages,
      stream: true,
    });
    const read = await text(stream, (chunk) => chunk.choices[0]?.delta.content);
    require(read === "Hello", read);
  },
  async "a failure in the middle raises"() {
    const stream = await openai.chat.completions.create({
      model: models.cut,
      messages,
      stream: true,
    });
    const broken = await raised(text(stream, (chunk) => chunk.choices[0]?.delta.content));
    require(broken instanceof OpenAI.APIError, String(broken));
  },
};

async function* chunks(reader) {
  const decoder = new TextDecoder();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read())
    yield decoder.decode(piece.value, { stream: true });
}

// A page at any other origin.
const stranger = {
  async "a stranger's page may read and send nothing"() {
    require(location.origin !== "tauri://localhost", location.origin);
    for (const options of [{}, { headers: authorization }]) {
      const refused = await raised(fetch(`${gateway}/v1/models`, options));
      require(refused instanceof TypeError, String(refused));
    }
  },
};

function report(value) {
  window.webkit.messageHandlers.report.postMessage(JSON.stringify(value));
}

const chosen = isStranger ? stranger : { ...steps, ...(poorToken ? faults : {}) };
for (const [step, act] of Object.entries(chosen)) {
  try {
    report({ step, problem: "", usages: (await act()) ?? [] });
  } catch (error) {
    report({ step, problem: `${error?.message ?? error}`.slice(0, 400), usages: [] });
  }
}
report({ end: true });
