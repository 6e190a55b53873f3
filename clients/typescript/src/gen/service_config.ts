// Written by `generate` from clients/service_config.json. Do not edit.

export const serviceConfig = {
  "loadBalancingConfig": [{ "round_robin": {} }],
  "methodConfig": [
    {
      "name": [
        { "service": "rerank.v1.RerankService", "method": "Rerank" },
        { "service": "rerank.v1.SearchService", "method": "Search" },
        { "service": "rerank.v1.DocumentService", "method": "GetDocument" },
        { "service": "rerank.v1.DocumentService", "method": "ListCollections" },
        { "service": "rerank.v1.BackendService" }
      ],
      "waitForReady": true,
      "retryPolicy": {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    },
    {
      "name": [
        { "service": "rerank.v1.DocumentService", "method": "DeleteDocuments" }
      ],
      "waitForReady": true,
      "retryPolicy": {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    },
    {
      "name": [
        { "service": "rerank.v1.DocumentService", "method": "CreateCollection" },
        { "service": "rerank.v1.DocumentService", "method": "DeleteCollection" }
      ],
      "waitForReady": true
    },
    {
      "name": [
        { "service": "rerank.v1.RerankService", "method": "RerankBatch" },
        { "service": "rerank.v1.SearchService", "method": "SearchProgressive" },
        { "service": "rerank.v1.DocumentService", "method": "ImportDocuments" }
      ],
      "waitForReady": true
    }
  ],
  "retryThrottling": { "maxTokens": 100, "tokenRatio": 0.1 }
};
