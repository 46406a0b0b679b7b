import { contract } from "../contract/mailAccount.ts"
import { describeLive } from "./available.ts"
import { DovecotSubject } from "./DovecotSubject.ts"

describeLive("the contract", ["dovecot", "lmtp", "postfix"], () => contract(DovecotSubject))
