"""Groups of parameters that several dialects have, each with the reason for its treatment.

Sources: the API references of OpenAI, Anthropic, OpenRouter, Mistral, DeepSeek, xAI, Groq, Qwen
(Model Studio), Z.ai, Moonshot, Perplexity and Google (OpenAI compatibility); those of vLLM, SGLang,
llama.cpp and Ollama.
"""

from llmproxy.routes.parameters import drop, forward

THINKING = (
    *forward(
        "The caller decides whether the model thinks, and how much. The thinking is metered as a "
        "part of the answer.",
        """
        reasoning reasoning_effort enable_thinking chat_template_kwargs thinking thinking_config
        thinking_mode thinking_type clear_thinking preserve_thinking disable_reasoning think
        include_reasoning include_thoughts reasoning_format reasoning_parser reasoning_split
        separate_reasoning stream_reasoning hide_reasoning prompt_mode
        """,
        whole="thinking_budget thinking_token_budget reasoning_budget max_thinking_tokens",
    ),
)
OUTPUT_FORMS = (
    *forward(
        "It gives the answer a form. Its length and its price are metered as for any answer.",
        """
        response_format output_format structured_outputs guided_json guided_regex guided_choice
        guided_grammar guided_decoding_backend guided_whitespace_pattern grammar json_schema
        json_mode regex ebnf structural_tag verbosity
        """,
    ),
)
SAMPLERS = (
    *forward(
        "It chooses among the tokens that the model can say next.",
        """
        min_p top_a typical_p tfs_z top_n_sigma repetition_penalty repeat_penalty length_penalty
        logit_bias logprobs mirostat_tau mirostat_eta dynatemp_range dynatemp_exponent
        dry_multiplier dry_base dry_sequence_breakers xtc_probability xtc_threshold
        smoothing_factor smoothing_curve epsilon_cutoff eta_cutoff do_sample samplers
        bad_words banned_tokens allowed_token_ids bad_words_ids stop_token_ids
        include_stop_str_in_output skip_special_tokens spaces_between_special_tokens
        """,
        whole="""
        seed random_seed sampler_seed top_k top_logprobs n_probs min_keep repeat_last_n mirostat
        dry_allowed_length dry_penalty_last_n no_repeat_ngram_size
        """,
    ),
)
PROMPT_CACHES = (
    *forward(
        "Tokens that are read from a cache or written to it have prices of their own.",
        "cache_control cache_prompt prompt_cache_key prompt_cache_options prompt_cache_retention",
    ),
)
SAFETY = (
    *forward(
        "It asks for a check of the texts, or says who sends them.",
        "safe_prompt safety_identifier user user_id moderation safety_settings",
    ),
)
PROMPT_FORMS = (
    *forward(
        "It shortens the prompt, or says how the prompt is written for the model.",
        """
        transforms truncation truncate_prompt_tokens add_generation_prompt continue_final_message
        add_special_tokens
        """,
    ),
)
STORED = (
    *drop("No answer is stored at the provider.", "store"),
    *drop("OpenAI takes it only together with `store`, which is off here.", "metadata", {}),
)
TIERS = (
    *drop(
        "Other tiers have other prices than the model has here.",
        "service_tier",
        "auto",
        "default",
        "standard",
        "standard_only",
    ),
    *drop("A faster answer costs more than the price of the model.", "speed", "standard"),
    *drop(
        "Where the answer is computed is decided by the operator, and changes its price.",
        "inference_geo region",
        "global",
    ),
    *drop("It decides which other requests have to wait.", "priority", 0),
)
LENGTHS = (
    *drop(
        "It could make the answer longer than its limit, or than the caller needs.",
        """
        n_predict num_predict min_tokens min_new_tokens min_completion_tokens max_length
        max_new_tokens ignore_eos options
        """,
        0,
    ),
    *drop(
        "All answers are generated and only the best returned, which usage does not show.",
        "best_of num_beams n_best",
        1,
    ),
    *drop("As for `best_of`.", "use_beam_search"),
    *drop("The answer would repeat the prompt, which is no answer.", "echo"),
    *drop(
        "It decides how much memory the provider's server uses, and for how long.",
        "num_ctx keep_alive",
    ),
    *drop(
        "An image would have more tokens than are held for it.",
        "vl_high_resolution_images mm_processor_kwargs media_resolution",
    ),
)
SEARCHES = (
    *drop(
        "The provider would search the web, at a price for each search that usage does not show.",
        """
        web_search_options search_parameters enable_search search_options web_search
        web_search_enabled enable_citation
        """,
        {"mode": "off"},
    ),
    *drop("As for web search: the provider would run it.", "plugins mcp_servers"),
)
ROUTING = (
    *drop(
        "The operator chooses the provider and the model: another one has another price.",
        "provider models route fallbacks preset",
    ),
    *drop(
        "The connection to the provider, and its key, belong to the operator.",
        """
        api_base api_key api_version base_url custom_llm_provider extra_headers extra_query headers
        """,
    ),
)
EVERYWHERE = (*STORED, *TIERS, *LENGTHS, *SEARCHES, *ROUTING)
