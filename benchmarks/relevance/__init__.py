"""Is the order better after reranking than before, on real judgements?"""
