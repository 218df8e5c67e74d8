// Types of the events, for socket.io-client. Generated from common/schema/events; change them there.
//
//     import { io, Socket } from "socket.io-client";
//     import type { ClientToServerEvents, ServerToClientEvents } from "./guesslyfe-events";
//     const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { token } });

/** An amount in wei: decimal digits. */
export type Wei = string;
/** ISO 8601 date and time. */
export type Timestamp = string;

/** A dividend can be claimed. */
export interface DividendAvailableEvent {
  /** The creator whose shares pay it. */
  creatorId: string;
  /** Name under which the creator is shown. */
  creatorHandle: string;
  /** Wallet address of the holder. */
  holder: string;
  /** What can be claimed. */
  amount: Wei;
  /** Where the money comes from. */
  source: "market_fees" | "creator_earnings";
  /** Since when it can be claimed. */
  timestamp: Timestamp;
}

/** A market was created. */
export interface MarketCreatedEvent {
  /** The market; clients subscribe to it by this id. */
  marketId: string;
  /** What the market asks. */
  question: string;
  /** Wallet address of the creator. */
  creator: string;
  /** Name under which the creator is shown. */
  creatorHandle?: string;
  /** Category that the market is listed under. */
  category?: string;
  /** When trading ends. */
  endDate: Timestamp;
  /** Price of a share at the start. */
  initialPrice: Wei;
  /** Address of the market's picture. */
  imageUrl?: string;
}

/** A market was resolved. */
export interface MarketResolvedEvent {
  /** The market. */
  marketId: string;
  /** What the market asked. */
  question: string;
  /** Which outcome won: 0 is no, 1 is yes. */
  outcome: 0 | 1;
  /** Who resolved it: a wallet address or the name of a process. */
  resolvedBy: string;
  /** Why it was resolved this way. */
  reason?: string;
  /** When it was resolved. */
  timestamp: Timestamp;
  /** What was traded in the market altogether. */
  totalVolume: Wei;
  /** How many traders took part. */
  totalParticipants: number;
}

/** Shares of a market's outcome were bought or sold. */
export interface MarketTradeEvent {
  /** The market that was traded in. */
  marketId: string;
  /** The trade. */
  tradeId: string;
  /** Wallet address of the trader. */
  trader: string;
  /** Whether the trader bought or sold. */
  direction: "buy" | "sell";
  /** Which outcome was traded: 0 is no, 1 is yes. */
  outcome: 0 | 1;
  /** What was paid or received. */
  amount: Wei;
  /** How many shares changed hands. */
  shares: Wei;
  /** Price of a share in this trade. */
  price: Wei;
  /** Price of a yes share after the trade. */
  newYesPrice: Wei;
  /** Price of a no share after the trade. */
  newNoPrice: Wei;
  /** When the trade was executed. */
  timestamp: Timestamp;
}

/** A message to one user. */
export interface NotificationEvent {
  /** The notification. */
  notificationId: string;
  /** Who gets it: a user id (the token's sub) or a wallet address. */
  userId: string;
  /** What it is about. */
  type: "market_resolved" | "trade_executed" | "dividend_available" | "creator_approved" | "shares_unlocked" | "custom";
  /** Headline. */
  title: string;
  /** Text. */
  message: string;
  /** Anything else that the client is to know. */
  data?: Record<string, unknown>;
  /** Where a click leads. */
  actionUrl?: string;
  /** Whether the user has read it already. */
  read: boolean;
  /** When it was written. */
  timestamp: Timestamp;
}

/** Shares of a creator were bought or sold. */
export interface SharesTradeEvent {
  /** The creator whose shares were traded. */
  creatorId: string;
  /** Name under which the creator is shown. */
  creatorHandle: string;
  /** The trade. */
  tradeId: string;
  /** Wallet address of the trader. */
  trader: string;
  /** Whether the trader bought or sold. */
  direction: "buy" | "sell";
  /** What was paid or received. */
  amount: Wei;
  /** How many shares changed hands. */
  shares: Wei;
  /** Price of a share in this trade. */
  price: Wei;
  /** Price of a share after the trade. */
  newPrice: Wei;
  /** When the trade was executed. */
  timestamp: Timestamp;
}

/** Shares of a creator became free to be sold. */
export interface SharesUnlockedEvent {
  /** The creator whose shares they are. */
  creatorId: string;
  /** Name under which the creator is shown. */
  creatorHandle: string;
  /** Wallet address of the holder. */
  holder: string;
  /** How much was unlocked. */
  amount: Wei;
  /** How much the holder has unlocked altogether. */
  newUnlockedAmount: Wei;
  /** What unlocked them. */
  reason: "time_based" | "manual" | "creator_action";
  /** When they were unlocked. */
  timestamp: Timestamp;
}

/** An announcement to everybody. */
export interface SystemAnnouncementEvent {
  /** The announcement. */
  id: string;
  /** Headline. */
  title: string;
  /** Text. */
  message: string;
  /** How urgent it is. */
  priority: "low" | "medium" | "high" | "critical";
  /** Where a click leads. */
  actionUrl?: string;
}

/** Maintenance begins or ends. */
export interface SystemMaintenanceEvent {
  /** Whether the system is under maintenance from now on. */
  enabled: boolean;
  /** What users are told. */
  message: string;
  /** How long it will take, in words. */
  estimatedDuration?: string;
  /** What is out of service. */
  affectedServices?: string[];
}

export interface EventData {
  "dividend:available": DividendAvailableEvent;
  "market:created": MarketCreatedEvent;
  "market:resolved": MarketResolvedEvent;
  "market:trade": MarketTradeEvent;
  "notification": NotificationEvent;
  "shares:trade": SharesTradeEvent;
  "shares:unlocked": SharesUnlockedEvent;
  "system:announcement": SystemAnnouncementEvent;
  "system:maintenance": SystemMaintenanceEvent;
}

/** What a listener gets. */
export interface GuesslyfeEvent<Name extends keyof EventData> {
  type: Name;
  /** When the event was published. */
  timestamp: Timestamp;
  data: EventData[Name];
}

/** The first event after a good token: the client is in these rooms. */
export interface Connected {
  message: string;
  userId: string;
  rooms: string[];
}

/** Sent before the server disconnects: no token, a bad one, or one that has expired. */
export interface AuthenticationError {
  message: string;
}

/** The client's token expires soon: it is disconnected then, unless it renews it by `authenticate`. */
export interface TokenExpiring {
  type: "token:expiring";
  /** When the event was sent. */
  timestamp: Timestamp;
  data: { expiresAt: Timestamp };
}

export interface AuthenticateRequest {
  /** Another token of the same user. */
  token: string;
}

export type AuthenticateResponse =
  /** `expiresAt` is missing where the token never expires. */
  | { success: true; expiresAt?: Timestamp; message?: never }
  | { success: false; message: string; expiresAt?: never };

export interface RoomRequest {
  room: "market" | "creator" | "user" | "global";
  id: string;
}

export interface RoomResponse {
  success: boolean;
  /** The room's name, such as "market:1". */
  room: string;
  message: string;
}

/** Beside the room: what of its past is wanted, the events after one, or so many of the newest. */
export type SubscribeRequest = RoomRequest & ({ since?: string; last?: never } | { since?: never; last?: number });

/** An event of a room's past, with the object that listeners get as their argument. */
export type PastEvent = {
  [Name in keyof EventData]: { id: string; event: Name; payload: GuesslyfeEvent<Name> };
}[keyof EventData];

export interface SubscribeResponse extends RoomResponse {
  /** Oldest first; there where the past was asked for. */
  events?: PastEvent[];
  /** False: events after `since`, and before the first of these, are missing. */
  complete?: boolean;
}

export interface Pong {
  pong: true;
  /** Milliseconds since 1970. */
  timestamp: number;
}

/** `id` is there for clients that can recover: it is the event's, and `since` takes it. */
export interface ServerToClientEvents {
  connected: (welcome: Connected, id?: string) => void;
  error: (error: AuthenticationError) => void;
  "token:expiring": (event: TokenExpiring) => void;
  "dividend:available": (event: GuesslyfeEvent<"dividend:available">, id?: string) => void;
  "market:created": (event: GuesslyfeEvent<"market:created">, id?: string) => void;
  "market:resolved": (event: GuesslyfeEvent<"market:resolved">, id?: string) => void;
  "market:trade": (event: GuesslyfeEvent<"market:trade">, id?: string) => void;
  "notification": (event: GuesslyfeEvent<"notification">, id?: string) => void;
  "shares:trade": (event: GuesslyfeEvent<"shares:trade">, id?: string) => void;
  "shares:unlocked": (event: GuesslyfeEvent<"shares:unlocked">, id?: string) => void;
  "system:announcement": (event: GuesslyfeEvent<"system:announcement">, id?: string) => void;
  "system:maintenance": (event: GuesslyfeEvent<"system:maintenance">, id?: string) => void;
}

export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack?: (response: SubscribeResponse) => void) => void;
  unsubscribe: (request: RoomRequest, ack?: (response: RoomResponse) => void) => void;
  getRooms: (ack: (rooms: string[]) => void) => void;
  ping: (ack: (pong: Pong) => void) => void;
  authenticate: (request: AuthenticateRequest, ack?: (response: AuthenticateResponse) => void) => void;
}
