from django.urls import path

from llmproxy import views

urlpatterns = [
    path("v1/chat/completions", views.chat_completions, name="chat_completions"),
    path("v1/generation", views.generation, name="generation"),
    path("v1/models", views.models, name="models"),
    path("v1/models/<path:name>", views.model),
    path("api/llm/chat", views.llm_chat, name="llm_chat"),
    path("api/llm/stream", views.llm_stream, name="llm_stream"),
]
