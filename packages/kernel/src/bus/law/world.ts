/** What a case of the bus's law works with: a world of its own, events, and consumers that note what they got. */
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import type { Bus, ConsumeOptions, Delivery, Subscription } from "../bus.ts";

/** A fresh engine for one case, with the services `identity` and `auth`. */
export interface BusWorld extends AsyncDisposable {
  /** One process of a service. The case does not end it: the world does. */
  open(service: "identity" | "auth"): Bus;
  /** Breaks the connections of all processes of a service, as a crash of its machine would: nothing is handed over. */
  cut(service: "identity" | "auth"): Promise<void>;
}

/** The cases of a law, by name. */
export type Cases = Readonly<Record<string, (world: BusWorld) => Promise<void>>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function event(key: string, text = "", change: Partial<EventEnvelope> = {}): EventEnvelope {
  return {
    id: newId(),
    source: "identity",
    type: "law.v1.Happened",
    key,
    time: new Date().toISOString(),
    actor: "user:u",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    data: encoder.encode(text),
    ...change,
  };
}

export function textOf({ data }: EventEnvelope): string {
  return decoder.decode(data);
}

export interface Seen {
  readonly texts: string[];
  readonly deliveries: { readonly event: EventEnvelope; readonly delivery: Delivery }[];
  readonly subscription: Subscription;
}

/** A consumer that notes what it handled; `handle` runs before the note. */
export async function watch(
  bus: Bus,
  options: Partial<ConsumeOptions> = {},
  handle: (event: EventEnvelope, delivery: Delivery) => Promise<void> | void = () => {},
): Promise<Seen> {
  const texts: string[] = [];
  const deliveries: Seen["deliveries"] = [];
  const subscription = await bus.consume({
    group: "g",
    topics: ["identity"],
    ...options,
    async handle(events, delivery) {
      for (const one of events) {
        await handle(one, delivery);
        texts.push(textOf(one));
        deliveries.push({ event: one, delivery });
      }
    },
  });
  return { texts, deliveries, subscription };
}

export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
