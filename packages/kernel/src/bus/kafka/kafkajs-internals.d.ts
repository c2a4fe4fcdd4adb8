/**
 * What we use of kafkajs below its public clients: the layer that finds brokers and speaks the protocol. kafkajs 2.2.4 is
 * its last version, and pinned, so these files do not move; docs/adr/0005-kafka-client.md says why its Consumer is not used.
 */
declare module "kafkajs/src/cluster/index.js" {
  import type { Cluster, ISocketFactory, Logger, RetryOptions, SASLOptions } from "kafkajs";

  interface ClusterOptions {
    readonly logger: Logger;
    readonly brokers: string[];
    readonly clientId: string;
    readonly ssl: import("node:tls").ConnectionOptions | undefined;
    readonly sasl: SASLOptions | undefined;
    readonly socketFactory: ISocketFactory;
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly enforceRequestTimeout: boolean;
    readonly metadataMaxAge: number;
    readonly allowAutoTopicCreation: boolean;
    readonly retry: RetryOptions;
  }
  const ClusterClass: new (options: ClusterOptions) => Cluster;
  export default ClusterClass;
}

declare module "kafkajs/src/loggers/index.js" {
  import type { Logger, logCreator, logLevel } from "kafkajs";

  const loggers: { createLogger(options: { level: logLevel; logCreator: logCreator }): Logger };
  export default loggers;
}

declare module "kafkajs/src/network/socketFactory.js" {
  import type { ISocketFactory } from "kafkajs";

  const defaultSocketFactory: () => ISocketFactory;
  export default defaultSocketFactory;
}
