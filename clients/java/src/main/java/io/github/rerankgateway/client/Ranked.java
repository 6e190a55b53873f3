package io.github.rerankgateway.client;

import io.github.rerankgateway.v1.RankedDocument;

/**
 * What the caller gave, and the place it got.
 *
 * @param document what the caller gave
 * @param place its rank, and its scores where it has any
 */
public record Ranked<D>(D document, RankedDocument place) {}
