// Read streams with the clients for Node, and print what each made of them: its text, its finish
// reason, and the errors that it raised or told. Arguments: our address, a token, and the names of
// the models whose provider is slow, and whose provider breaks off.
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { streamText } from "ai";
import { EventSourceParserStream } from "eventsource-parser/stream";
import OpenAI from "openai";

const [url, apiKey, ...models] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];
globalThis.AI_SDK_LOG_WARNINGS = false;

async function read(stream, textOf) {
  let text = "";
  for await (const event of stream) text += textOf(event) ?? "";
  return { text };
}

async function readWithAiSdk(model) {
  const errors = [];
  const onError = ({ error }) => errors.push(String(error?.message ?? error));
  const { fullStream } = streamText({ model, prompt: "Hi", maxRetries: 0, onError });
  let text = "";
  for await (const part of fullStream) if (part.type === "text-delta") text += part.text;
  return { text, errors };
}

async function readWithLangChain(client) {
  return read(await client.stream("Hi"), (chunk) => chunk.text);
}

const langChain = (model, useResponsesApi) =>
  new ChatOpenAI({ configuration: { baseURL }, apiKey, model, maxRetries: 0, useResponsesApi });

async function readBare(model) {
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages, stream: true }),
  });
  const events = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ onError: "terminate" }));
  const errors = [];
  const { text } = await read(events, ({ data }) => {
    const chunk = data === "[DONE]" ? {} : JSON.parse(data);
    if (chunk.error) errors.push(chunk.error.message);
    return chunk.choices?.[0].delta.content;
  });
  return { text, errors };
}

const clients = {
  "openai chat": async (model) =>
    read(
      await openai.chat.completions.create({ model, messages, stream: true }),
      (chunk) => chunk.choices[0]?.delta.content,
    ),
  "openai chat, its helper": async (model) => {
    const whole = await openai.chat.completions.stream({ model, messages }).finalChatCompletion();
    return { text: whole.choices[0].message.content };
  },
  "openai text": async (model) =>
    read(
      await openai.completions.create({ model, prompt: "Hi", max_tokens: 50, stream: true }),
      (chunk) => chunk.choices[0]?.text,
    ),
  "openai responses": async (model) =>
    read(await openai.responses.create({ model, input: "Hi", stream: true }), (event) =>
      event.type === "response.output_text.delta" ? event.delta : "",
    ),
  "openai responses, its helper": async (model) => {
    const whole = await openai.responses.stream({ model, input: "Hi" }).finalResponse();
    return { text: whole.output_text };
  },
  anthropic: async (model) =>
    read(
      await anthropic.messages.create({ model, max_tokens: 50, messages, stream: true }),
      (event) => (event.type === "content_block_delta" ? event.delta.text : ""),
    ),
  "anthropic, its helper": async (model) => {
    const whole = await anthropic.messages
      .stream({ model, max_tokens: 50, messages })
      .finalMessage();
    return { text: whole.content[0].text };
  },
  "AI SDK openai chat": (model) => readWithAiSdk(createOpenAI({ baseURL, apiKey }).chat(model)),
  "AI SDK openai responses": (model) =>
    readWithAiSdk(createOpenAI({ baseURL, apiKey }).responses(model)),
  "AI SDK openai-compatible": (model) =>
    readWithAiSdk(createOpenAICompatible({ name: "x", baseURL, apiKey }).chatModel(model)),
  "AI SDK openrouter": (model) => readWithAiSdk(createOpenRouter({ baseURL, apiKey }).chat(model)),
  "AI SDK anthropic": (model) => readWithAiSdk(createAnthropic({ baseURL, apiKey })(model)),
  "LangChain openai chat": (model) => readWithLangChain(langChain(model, false)),
  "LangChain openai responses": (model) => readWithLangChain(langChain(model, true)),
  "LangChain anthropic": (model) =>
    readWithLangChain(
      new ChatAnthropic({ anthropicApiUrl: url, apiKey, model, maxTokens: 50, maxRetries: 0 }),
    ),
  "eventsource-parser": readBare,
};

// Some helpers reject a promise of their own besides the one that is awaited.
process.on("unhandledRejection", () => {});
for (const [client, act] of Object.entries(clients))
  for (const model of models) {
    let seen;
    try {
      const { text, errors = [] } = await act(model);
      seen = { text, errors };
    } catch (error) {
      seen = { text: "", errors: [String(error.message)] };
    }
    console.log(JSON.stringify({ client, model, ...seen }));
  }
process.exit(0);
