# expect: does not load: ZeroDivisionError: division by zero
1 / 0
