-- A script for wrk. Each request has the next user's token. At the end it prints the results, with
-- times in microseconds. Arguments: the file of the tokens (may be empty), the file of the body,
-- then further headers as NAME=VALUE.

local tokens, turn = {}, 0

function init(args)
    for token in io.lines(args[1]) do
        tokens[#tokens + 1] = "Bearer " .. token
    end
    wrk.method, wrk.body = "POST", io.open(args[2]):read("a")
    wrk.headers["Content-Type"] = "application/json"
    for i = 3, #args do
        local name, value = args[i]:match("^([^=]+)=(.*)$")
        wrk.headers[name] = value
    end
end

function request()
    if #tokens > 0 then
        turn = turn % #tokens + 1
        wrk.headers["Authorization"] = tokens[turn]
    end
    return wrk.format()
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        "MEASURED requests=%d duration=%d p50=%d p99=%d status=%d socket=%d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end
