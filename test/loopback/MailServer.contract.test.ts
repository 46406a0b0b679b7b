import { contract } from "../contract/mailAccount.ts"
import { MailServerSubject } from "./MailServerSubject.ts"

contract(MailServerSubject)
