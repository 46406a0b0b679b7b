import { contract } from "../contract/mailAccount.ts"
import { MailServerSubject } from "../contract/MailServerSubject.ts"

contract(MailServerSubject)
