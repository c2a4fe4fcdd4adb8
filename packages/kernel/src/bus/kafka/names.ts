/** What things are called in Kafka. All names begin with the prefix, so that rights can be given by prefix. */

/** Kafka's own rule for topics is at most 249 of these. */
const NAME = /^[A-Za-z0-9_-]{1,80}$/;

export class KafkaNames {
  readonly #prefix: string;
  readonly #service: string;

  /** The service whose groups these are. */
  constructor(prefix: string, service: string) {
    this.#prefix = prefix;
    this.#service = service;
  }

  /** What all topics begin with. */
  get topics(): string {
    return `${this.#prefix}.`;
  }

  /** The topic of a service's facts. */
  topic(source: string): string {
    return `${this.topics}${checked(source)}`;
  }

  /** The service whose facts a topic has; undefined for any other topic. */
  sourceOf(topic: string): string | undefined {
    const rest = topic.startsWith(this.topics) ? topic.slice(this.topics.length) : "";
    return NAME.test(rest) ? rest : undefined;
  }

  /** What the ids of this service's groups begin with: groups of different services never meet. */
  get groups(): string {
    return `${this.#prefix}.${this.#service}.`;
  }

  group(group: string): string {
    return `${this.groups}${checked(group)}`;
  }

  get redeliveries(): string {
    return `${this.#prefix}.redelivery.${this.#service}.`;
  }

  /** What only this group gets again: redriven dead letters, and replays. */
  redelivery(group: string): string {
    return `${this.redeliveries}${checked(group)}`;
  }

  get allDeadLetters(): string {
    return `${this.#prefix}.dead-letters.${this.#service}.`;
  }

  deadLetters(group: string): string {
    return `${this.allDeadLetters}${checked(group)}`;
  }
}

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new RangeError(`"${name}" cannot be part of a name in Kafka: letters, digits, "-" and "_", at most 80`);
}
