; SPDX-License-Identifier: MIT
; Two factors of 10087 below 128.
(set-logic QF_BV)
(declare-const a (_ BitVec 14))
(declare-const b (_ BitVec 14))
(assert (bvugt a #b00000000000001))
(assert (bvugt b #b00000000000001))
(assert (bvult a #b00000010000000))
(assert (bvult b #b00000010000000))
(assert (= (bvmul a b) #b10011101100111))
(check-sat)
