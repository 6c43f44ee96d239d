// OpenAI's SDK for Node.
import OpenAI from "openai";
import {ANSWER, KEY, PARAMETERS, POOR_KEY, REASONS, V1, WEATHER, expect, expectFailure, run} from "./steps.mjs";

const make = apiKey => new OpenAI({baseURL: V1, apiKey, maxRetries: 0});
const client = make(KEY);
const model = REASONS, messages = [{role: "user", content: "Say hello."}];
const tool = {type: "function", function: {name: "weather", parameters: PARAMETERS}};
const flat = {type: "function", name: "weather", parameters: PARAMETERS, strict: true};
const count = ({usage}) => usage.input_tokens === undefined
    ? [[usage.prompt_tokens, usage.completion_tokens]]
    : [[usage.input_tokens, usage.output_tokens]];

await run({
    async chat_json() {
        const answer = await client.chat.completions.create({model, messages, max_tokens: 500});
        expect(answer.choices[0].message.content === ANSWER, answer);
        return count(answer);
    },
    async chat_stream() {
        const stream = client.chat.completions.stream({
            model, messages, stream_options: {include_usage: true},
        });
        const answer = await stream.finalChatCompletion();
        expect(answer.choices[0].message.content === ANSWER, answer);
        return count(answer);
    },
    async chat_tools() {
        const first = await client.chat.completions.create({model, messages, tools: [tool]});
        const message = first.choices[0].message;
        const second = await client.chat.completions.create({
            model, tools: [tool],
            messages: [
                ...messages, message,
                {role: "tool", tool_call_id: message.tool_calls[0].id, content: WEATHER},
            ],
        });
        expect(second.choices[0].message.content.includes(WEATHER), second);
        return [...count(first), ...count(second)];
    },
    async chat_run_tools() {
        const runner = client.chat.completions.runTools({
            model, messages, stream: true, stream_options: {include_usage: true},
            tools: [{type: "function", function: {
                name: "weather", description: "The weather.", parameters: PARAMETERS,
                parse: JSON.parse, function: ({city}) => `sunny in ${city}`,
            }}],
        });
        expect((await runner.finalContent()).includes(WEATHER));
    },
    async responses_json() {
        const answer = await client.responses.create({model, input: "Say hello."});
        expect(answer.output_text === ANSWER, answer);
        return count(answer);
    },
    async responses_stream() {
        const stream = client.responses.stream({model, input: "Say hello."});
        const answer = await stream.finalResponse();
        expect(answer.output_text === ANSWER, answer);
        return count(answer);
    },
    async responses_tools() {
        const input = [{role: "user", content: "What is the weather?"}];
        const first = await client.responses.create({model, input, tools: [flat]});
        const call = first.output.find(item => item.type === "function_call");
        input.push(...first.output);
        input.push({type: "function_call_output", call_id: call.call_id, output: WEATHER});
        const second = await client.responses.create({model, input, tools: [flat]});
        expect(second.output_text.includes(WEATHER), second);
        return [...count(first), ...count(second)];
    },
    async embeddings_json() {
        const answer = await client.embeddings.create({model: "text-embedding-3-small", input: "one"});
        expect(answer.data[0].embedding.length === 1536, answer.data[0].embedding.length);
        return [[answer.usage.prompt_tokens, 0]];
    },
    async models_list() {
        const names = [];
        for await (const one of client.models.list()) names.push(one.id);
        expect(names.includes(REASONS), names);
    },
    async provider_error() {
        await expectFailure(
            () => client.chat.completions.create({model, messages, temperature: 0.2}),
            "400", "'temperature' does not support 0.2",
        );
    },
    async key_error() {
        await expectFailure(() => make("sk-wrong").responses.create({model, input: "Hi"}), "401");
    },
    async credits_error() {
        const poor = make(POOR_KEY);
        await expectFailure(() => poor.responses.create({model, input: "Hi"}), "402", "credits");
        await expectFailure(
            () => poor.chat.completions.stream({model, messages}).finalContent(), "402", "credits",
        );
    },
});
