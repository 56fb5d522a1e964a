require_relative "app"

run Greetings
