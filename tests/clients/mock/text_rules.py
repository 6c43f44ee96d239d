def check_completion(body): pass
def check_embeddings(body): pass
