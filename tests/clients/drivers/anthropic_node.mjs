// Anthropic's SDK for Node.
import Anthropic from "@anthropic-ai/sdk";
import {ANSWER, CLAUDE, KEY, PARAMETERS, POOR_KEY, URL, WEATHER, expect, expectFailure, run} from "./steps.mjs";

const make = apiKey => new Anthropic({baseURL: URL, apiKey, maxRetries: 0});
const client = make(KEY);
const model = CLAUDE, max_tokens = 4000, messages = [{role: "user", content: "Say hello."}];
const tools = [{name: "weather", description: "The weather.", input_schema: PARAMETERS}];
const thinking = {type: "enabled", budget_tokens: 1024};
const count = ({usage: used}) => [[
    used.input_tokens + (used.cache_read_input_tokens ?? 0) + (used.cache_creation_input_tokens ?? 0),
    used.output_tokens,
]];

await run({
    async json() {
        const answer = await client.messages.create({model, max_tokens, messages});
        expect(answer.content[0].text === ANSWER, answer);
        return count(answer);
    },
    async stream() {
        const answer = await client.messages.stream({model, max_tokens, messages}).finalMessage();
        expect(answer.content[0].text === ANSWER, answer);
        return count(answer);
    },
    async tools_with_thinking() {
        const asked = {model, max_tokens, tools, thinking};
        const first = await client.messages.stream({...asked, messages}).finalMessage();
        const call = first.content.find(block => block.type === "tool_use");
        const second = await client.messages.create({
            ...asked,
            messages: [
                ...messages,
                {role: "assistant", content: first.content},
                {role: "user", content: [{type: "tool_result", tool_use_id: call.id, content: WEATHER}]},
            ],
        });
        expect(second.content.at(-1).text.includes(WEATHER), second);
        return [...count(first), ...count(second)];
    },
    async count_tokens() {
        const counted = await client.messages.countTokens({model, messages});
        expect(counted.input_tokens > 0, counted);
    },
    async models_list() {
        const names = [];
        for await (const one of client.models.list()) names.push(one.id);
        expect(names.includes(CLAUDE), names);
    },
    async provider_error() {
        await expectFailure(
            () => client.messages.create({model, max_tokens, messages: [{role: "assistant", content: "Hi"}]}),
            "400", "first message must use",
        );
    },
    async key_error() {
        await expectFailure(() => make("sk-wrong").messages.create({model, max_tokens, messages}), "401");
    },
    async credits_error() {
        const poor = make(POOR_KEY);
        await expectFailure(() => poor.messages.create({model, max_tokens, messages}), "402", "credits");
        await expectFailure(
            () => poor.messages.stream({model, max_tokens, messages}).finalMessage(), "402", "credits",
        );
    },
});
