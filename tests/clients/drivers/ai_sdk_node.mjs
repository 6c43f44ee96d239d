// Vercel's AI SDK with its three providers: OpenAI, Anthropic and what is compatible with OpenAI.
import {createAnthropic} from "@ai-sdk/anthropic";
import {createOpenAI} from "@ai-sdk/openai";
import {createOpenAICompatible} from "@ai-sdk/openai-compatible";
import {embed, generateObject, generateText, stepCountIs, streamText, tool} from "ai";
import {z} from "zod";
import {ANSWER, CLAUDE, KEY, PLAIN, POOR_KEY, REASONS, URL, V1, WEATHER, expect, expectFailure, run} from "./steps.mjs";

const make = apiKey => ({
    openai: createOpenAI({baseURL: V1, apiKey}),
    anthropic: createAnthropic({baseURL: V1, apiKey}),
    compatible: createOpenAICompatible({name: "smartspec", baseURL: V1, apiKey, includeUsage: true}),
});
const {openai, anthropic, compatible} = make(KEY);
const MODELS = {
    responses: openai(REASONS),
    chat: openai.chat(REASONS),
    anthropic: anthropic(CLAUDE),
    compatible: compatible(REASONS),
};
const tools = {
    weather: tool({
        description: "The weather.",
        inputSchema: z.object({city: z.string()}),
        execute: async ({city}) => `sunny in ${city}`,
    }),
};
// The gateway stores nothing: with `store: false` the SDK sends items instead of their ids.
const PROVIDER_OPTIONS = {responses: {openai: {store: false}}};
const maxRetries = 0, prompt = "Say hello.", maxOutputTokens = 2000;
const count = usage => [[usage.inputTokens, usage.outputTokens]];
const steps = {};

for (const [name, model] of Object.entries(MODELS)) {
    steps[`${name}_json`] = async () => {
        const {text, usage} = await generateText({model, prompt, maxRetries, maxOutputTokens});
        expect(text === ANSWER, text);
        return count(usage);
    };
    steps[`${name}_stream`] = async () => {
        const result = streamText({model, prompt, maxRetries});
        expect((await result.text) === ANSWER, await result.text);
        return count(await result.usage);
    };
    steps[`${name}_tools`] = async () => {
        const providerOptions = PROVIDER_OPTIONS[name];
        const options = {model, tools, maxRetries, providerOptions, stopWhen: stepCountIs(3)};
        const result = streamText({...options, prompt});
        expect((await result.text).includes(WEATHER), await result.text);
        const response = await result.response;
        const next = await generateText({
            ...options,
            messages: [
                {role: "user", content: prompt},
                ...response.messages,
                {role: "user", content: "Tell me again in words."},
            ],
        });
        expect(next.text.length > 0, next.text);
    };
}

await run({
    ...steps,
    async anthropic_thinking_tools() {
        const {text} = await generateText({
            model: MODELS.anthropic, tools, prompt, maxRetries, stopWhen: stepCountIs(3),
            providerOptions: {anthropic: {thinking: {type: "enabled", budgetTokens: 1024}}},
        });
        expect(text.includes(WEATHER), text);
    },
    async responses_reference_error() {
        await expectFailure(
            () => generateText({model: MODELS.responses, tools, prompt, maxRetries, stopWhen: stepCountIs(3)}),
            "400", "store",
        );
    },
    async responses_object() {
        const schema = z.object({city: z.string(), people: z.number()});
        const {object} = await generateObject({model: MODELS.responses, schema, prompt, maxRetries});
        expect(object.city === "x", object);
    },
    async embeddings_json() {
        const model = openai.embeddingModel("text-embedding-3-small");
        const {embedding, usage} = await embed({model, value: "one", maxRetries});
        expect(embedding.length === 1536, embedding.length);
        return [[usage.tokens, 0]];
    },
    async compatible_plain_json() {
        const {text, usage} = await generateText({
            model: compatible(PLAIN), prompt, maxRetries, maxOutputTokens, temperature: 0,
        });
        expect(text === ANSWER, text);
        return count(usage);
    },
    async credits_error() {
        const poor = make(POOR_KEY);
        for (const model of [poor.openai(REASONS), poor.anthropic(CLAUDE), poor.compatible(REASONS)])
            await expectFailure(() => generateText({model, prompt, maxRetries}), "402", "credits");
    },
});
