// LangChain for Node, with the models of OpenAI and Anthropic.
import {ChatAnthropic} from "@langchain/anthropic";
import {HumanMessage, ToolMessage} from "@langchain/core/messages";
import {tool} from "@langchain/core/tools";
import {ChatOpenAI, OpenAIEmbeddings} from "@langchain/openai";
import {z} from "zod";
import {ANSWER, CLAUDE, KEY, POOR_KEY, REASONS, URL, V1, WEATHER, expect, expectFailure, run} from "./steps.mjs";

const makeOpenAI = (more = {}) => new ChatOpenAI({
    model: REASONS, apiKey: KEY, configuration: {baseURL: V1}, maxRetries: 0, ...more,
});
const makeAnthropic = (more = {}) => new ChatAnthropic({
    model: CLAUDE, apiKey: KEY, anthropicApiUrl: URL, maxRetries: 0, ...more,
});
const weather = tool(async ({city}) => `sunny in ${city}`, {
    name: "weather", description: "The weather.", schema: z.object({city: z.string()}),
});
const count = ({usage_metadata: usage}) => [[usage.input_tokens, usage.output_tokens]];
const MODELS = {
    openai: makeOpenAI(),
    responses: makeOpenAI({useResponsesApi: true}),
    anthropic: makeAnthropic(),
    anthropic_thinking: makeAnthropic({
        maxTokens: 4000, thinking: {type: "enabled", budget_tokens: 1024},
    }),
};
const steps = {};

for (const [name, model] of Object.entries(MODELS)) {
    steps[`${name}_json`] = async () => {
        const answer = await model.invoke("Say hello.");
        expect(answer.text === ANSWER, answer);
        return count(answer);
    };
    steps[`${name}_stream`] = async () => {
        let whole;
        for await (const chunk of await model.stream("Say hello."))
            whole = whole ? whole.concat(chunk) : chunk;
        expect(whole.text === ANSWER, whole);
        // It adds the one token that Anthropic reports at the start to those at the end.
        return name.startsWith("anthropic") ? [] : count(whole);
    };
    steps[`${name}_tools`] = async () => {
        const bound = model.bindTools([weather]);
        const messages = [new HumanMessage("What is the weather?")];
        const first = await bound.invoke(messages);
        const [call] = first.tool_calls;
        messages.push(first, new ToolMessage({content: WEATHER, tool_call_id: call.id}));
        const second = await bound.invoke(messages);
        expect(second.text.includes(WEATHER), second);
        return [...count(first), ...count(second)];
    };
}

await run({
    ...steps,
    async embeddings_json() {
        const model = new OpenAIEmbeddings({
            model: "text-embedding-3-small", apiKey: KEY, configuration: {baseURL: V1},
        });
        expect((await model.embedQuery("one")).length === 1536);
    },
    async credits_error() {
        const apiKey = POOR_KEY;
        await expectFailure(() => makeOpenAI({apiKey}).invoke("Hi"), "402", "credits");
        await expectFailure(() => makeAnthropic({apiKey}).invoke("Hi"), "402", "credits");
    },
});
