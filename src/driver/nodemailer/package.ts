/**
 * The parts of nodemailer that the adapter is made of. The only importer of the package: the version it is pinned to
 * matters in more than its types.
 */
export { default as addressparser } from "nodemailer/lib/addressparser"
export { encode as base64Encode, wrap as base64Wrap } from "nodemailer/lib/base64"
export { default as DkimSigner } from "nodemailer/lib/dkim"
export { default as MailComposer } from "nodemailer/lib/mail-composer"
export type { default as MimeNode, MimeNodeAddress } from "nodemailer/lib/mime-node"
export { encode as quotedEncode, wrap as quotedWrap } from "nodemailer/lib/qp"
export { default as SMTPConnection, type SMTPConnectionCustomAuthContext } from "nodemailer/lib/smtp-connection"
export { default as wellKnown } from "nodemailer/lib/well-known"
