"""Exports of providers as they are, with other numbers. Each has 1 day, 2025-03-02."""

OPENROUTER = (
    "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,"
    "byok_usage_inference,tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,"
    "model_permaslug,provider_name,variant,cancelled,streamed,user,finish_reason_raw,"
    "finish_reason_normalized,generation_time_ms,time_to_first_token_ms,api_key_name,app_name\n"
    "gen-1,2025-03-02 03:46:57.713,0.0025,0,0,0,0,100,10,0,0,openai/gpt-4o,OpenAI,standard,false,"
    "true,,stop,stop,900,200,shop,\n"
    "gen-2,2025-03-02 23:59:59.900,0.0030,0,0,0,0.001,200,20,0,0,openai/gpt-4o,OpenAI,standard,"
    "false,true,,stop,stop,900,200,shop,\n"
)
OPENROUTER_DAYS = (
    "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n"
    "2025-03-02,openai/gpt-4o,0.0055,0.001,2,300,30,0\n"
)
OPENAI_USAGE = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,"
    "api_key_id,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens\n"
    "1740787200,1740873600,2025-03-01T00:00:00+00:00,2025-03-02T00:00:00+00:00,,,,,,,,,,\n"
    "1740873600,1740960000,2025-03-02T00:00:00+00:00,2025-03-03T00:00:00+00:00,proj_1,2.0,user-1,"
    "key_1,gpt-4o-2024-08-06,FALSE,default,300.0,30.0,0.0\n"
)
OPENAI_EMBEDDINGS = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,"
    "api_key_id,model,input_tokens\n"
    "1740873600,1740960000,2025-03-02T00:00:00,2025-03-03T00:00:00,proj_1,1.0,user-1,key_1,"
    "text-embedding-3-small,50.0\n"
)
OPENAI_COSTS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,"
    "quantity_unit,line_item,user_id,api_key_id,project_id,organization_id\n"
    "1740873600,1740960000,2025-03-02T00:00:00,2025-03-03T00:00:00,"
    '0.00250000000000000000000000,usd,300,tokens,"gpt-4o-2024-08-06, input",,,,org-1\n'
    "1740873600,1740960000,2025-03-02T00:00:00,2025-03-03T00:00:00,"
    '0.0040,usd,30,tokens,"gpt-4o-2024-08-06, output",,,,org-1\n'
)
OPENAI_ACTIVITY = (
    "organization_id,n_requests,operation,n_context_tokens_total,n_generated_tokens_total,"
    "usage_type,model,timestamp,user\n"
    "org-1,2,completion,300,30,text,gpt-4o-2024-08-06,1740876000,shop\n"
)
ANTHROPIC_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
    "web_search_count,inference_geo,speed\n"
    "2025-03-02,claude-haiku-4-5-20251001,shop,Default,standard,≤ 200k,100,150,20,30,30,0,global,\n"
)
ANTHROPIC_COST = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
    "list_price_usd,cost_type,inference_geo,speed\n"
    "2025-03-02,Claude Haiku 4.5,Default,shop,message,≤ 200k,input_no_cache,0.0025,0.01,token,,\n"
    "2025-03-02,Claude Haiku 4.5,Default,shop,message,≤ 200k,output,0.0040,0.01,token,,\n"
)
# The format that is found, and what the day sums up to: requests, prompt, answer, cost.
ALL = {
    "openrouter_requests": (OPENROUTER, 2, 300, 30, "0.0065"),
    "openrouter_days": (OPENROUTER_DAYS, 2, 300, 30, "0.0065"),
    "openai_usage": (OPENAI_USAGE, 2, 300, 30, None),
    "openai_embeddings": (OPENAI_EMBEDDINGS, 1, 50, 0, None),
    "openai_costs": (OPENAI_COSTS, None, None, None, "0.0065"),
    "openai_activity": (OPENAI_ACTIVITY, 2, 300, 30, None),
    "anthropic_usage": (ANTHROPIC_USAGE, None, 300, 30, None),
    "anthropic_cost": (ANTHROPIC_COST, None, None, None, "0.0065"),
}
