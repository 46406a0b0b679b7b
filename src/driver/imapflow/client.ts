/** The package, and the only file that imports it: its client, and the words of its types the adapter speaks. */
export { ImapFlow } from "imapflow"
export type {
  CopyResponseObject,
  FetchMessageObject,
  FetchQueryObject,
  ImapFlowError,
  ImapTransport,
  ImapTransportConnectOptions,
  ImapTransportOptions,
  ImapTransportSocket,
  ListResponse,
  Logger,
  MailboxObject,
  MessageAddressObject,
  MessageEnvelopeObject,
  MessageStructureObject,
  QuotaResponse,
  SearchObject,
  StatusObject
} from "imapflow"
export { parseBodystructure, parseEnvelope } from "imapflow/lib/tools"
