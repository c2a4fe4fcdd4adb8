/**
 * An event on its way: the CloudEvents 1.0 attributes beside the protobuf bytes of the fact. Topics are named after the
 * service that publishes, and the bus derives the topic from the publisher's credential, so that `source` can be believed.
 */
export interface EventEnvelope {
  /** CloudEvents `id`: a UUID, the same for every delivery. */
  readonly id: string;
  /** CloudEvents `source`, and the topic: the publishing service's name, "identity". */
  readonly source: string;
  /** CloudEvents `type`: the message's full name, "switchboard.identity.v1.UserCreated". */
  readonly type: string;
  /** CloudEvents `subject`, and the key that order is kept by: events of one key are handled one after another. */
  readonly key: string;
  /** CloudEvents `time`: when the fact was committed, by the publisher's clock; ISO 8601 with milliseconds, UTC. */
  readonly time: string;
  /** Whose act it was: "user:…", "service:auth", "anonymous". */
  readonly actor: string;
  /** W3C `traceparent` of the call that made it. Empty: none. */
  readonly traceparent: string;
  /** The message, as protobuf. At most 900 KiB. */
  readonly data: Uint8Array;
}
