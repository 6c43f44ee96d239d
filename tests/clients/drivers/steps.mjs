// Runs the steps of one client and prints a line of JSON for each; see steps.py.
import assert from "node:assert";

export const URL = process.env.GATEWAY_URL;
export const V1 = `${URL}/v1`;
export const KEY = process.env.GATEWAY_KEY;
export const POOR_KEY = process.env.GATEWAY_POOR_KEY;
export const REASONS = "gpt-5-mini", PLAIN = "gpt-4.1", CLAUDE = "claude-sonnet-4-5";
export const ANSWER = "Hello, this is the answer.", WEATHER = "sunny in x";
export const PARAMETERS = {
    type: "object",
    properties: {city: {type: "string"}},
    required: ["city"],
    additionalProperties: false,
};

export async function run(steps) {
    for (const [step, act] of Object.entries(steps)) {
        const said = {step: step.replaceAll("_", " "), problem: ""};
        try {
            said.usages = (await act()) ?? [];
        } catch (error) {
            said.problem = `${error.name}: ${error.message}`.slice(0, 600);
            said.trace = String(error.stack).slice(0, 1500);
        }
        console.log(JSON.stringify(said));
    }
}

export function expect(condition, told = "") {
    assert(condition, JSON.stringify(told)?.slice(0, 400));
}

export async function expectFailure(call, ...words) {
    let told;
    try {
        told = `no exception, but ${JSON.stringify(await call())}`;
    } catch (error) {
        const text = `${error.name} ${error.status ?? error.statusCode ?? ""}: ${error.message}`;
        if (words.every(word => text.includes(word))) return;
        told = text;
    }
    assert.fail(told.slice(0, 400));
}
