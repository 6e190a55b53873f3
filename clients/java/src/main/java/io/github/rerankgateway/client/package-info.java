/**
 * The client of rerank-gateway. Begin with {@link io.github.rerankgateway.client.RerankClient}; the
 * messages are in {@link io.github.rerankgateway.v1}.
 */
package io.github.rerankgateway.client;
