"""The parameters of `/v1/embeddings`.

Source: OpenAI API reference, "Create embeddings"; those of Voyage, Cohere, Jina, Mistral, NVIDIA
NIM, Google and vLLM.
"""

from llmproxy.routes import kinds
from llmproxy.routes.kinds import Choice, Content, Integer
from llmproxy.routes.parameters import MODEL, Parameter, Parameters, drop, forward
from llmproxy.routes.tables import groups

MAX_INPUTS = 2048
MAX_DIMENSIONS = 8192
PARAMETERS = Parameters(
    Parameter("encoding_format", Choice(("float", "base64"))),
    Parameter("input", Content(kinds.describe_texts(MAX_INPUTS)), is_required=True),
    Parameter("dimensions", Integer(1, MAX_DIMENSIONS)),
    MODEL,
    *forward(
        "It says what the vectors are for, and how they are written.",
        """
        input_type task task_type prompt_name truncate truncation output_dtype embedding_type
        embedding_types late_chunking normalized normalize add_special_tokens
        """,
        whole="output_dimension truncate_prompt_tokens",
    ),
    *groups.SAFETY,
    *drop("An answer with several vectors for each text can be too large.", "return_multivector"),
    *groups.STORED,
    *groups.TIERS,
    *groups.ROUTING,
    *drop(
        "It decides how much memory the provider's server uses, and for how long.",
        "keep_alive options",
    ),
)
